"""Changing attributes in an XML text and leaving every other character as it is."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from drrobot_ros.errors import ModelError


@dataclasses.dataclass(eq=False)
class Node:
    """An element: where its start tag and itself end in the text, in bytes."""

    tag: str
    attributes: dict[str, str]
    start: int
    tag_end: int
    end: int = -1
    children: list["Node"] = dataclasses.field(default_factory=list)

    def child(self, tag: str) -> "Node | None":
        """Return the first child of a tag."""
        return next((c for c in self.children if c.tag == tag), None)

    def walk(self) -> Iterator["Node"]:
        """Yield it and everything in it."""
        yield self
        for child in self.children:
            yield from child.walk()


class XmlText:
    """A text of XML and the changes to make in it.

    Raises:
        ModelError: it is no XML.
    """

    def __init__(self, text: str, where: str) -> None:
        self.data = text.encode()
        self._tags: dict[int, tuple[Node, dict[str, str | None]]] = {}
        self._new: dict[int, tuple[Node, list[tuple[str, dict[str, str | None]]]]] = {}
        parser = expat.ParserCreate("utf-8")
        stack: list[Node] = []
        roots: list[Node] = []

        def start(tag: str, attributes: dict[str, str]) -> None:
            at = parser.CurrentByteIndex
            node = Node(tag, attributes, at, _tag_end(self.data, at))
            (stack[-1].children if stack else roots).append(node)
            stack.append(node)

        def end(tag: str) -> None:
            node = stack.pop()
            own = self.data[node.tag_end - 2 : node.tag_end] == b"/>"
            node.end = node.tag_end if own else _tag_end(self.data, parser.CurrentByteIndex)

        parser.StartElementHandler, parser.EndElementHandler = start, end
        try:
            parser.Parse(self.data, True)
        except expat.ExpatError as error:
            raise ModelError(f"{where} is no XML: {error}") from error
        self.root = roots[0]

    def set(self, node: Node, attributes: Mapping[str, str | None]) -> None:
        """Set attributes of an element; None removes one."""
        self._tags.setdefault(node.start, (node, {}))[1].update(attributes)

    def set_child(self, node: Node, tag: str, attributes: Mapping[str, str | None]) -> None:
        """Set attributes of the first child of a tag; add one if there is none."""
        child = node.child(tag)
        if child is not None:
            self.set(child, attributes)
        else:
            self._new.setdefault(node.start, (node, []))[1].append((tag, dict(attributes)))

    def text(self) -> str:
        """Return the changed text."""
        data = self.data
        for at in sorted({*self._tags, *self._new}, reverse=True):
            node = (self._tags.get(at) or self._new[at])[0]
            tag = data[node.start : node.tag_end].decode()
            for name, value in self._tags.get(at, (node, {}))[1].items():
                tag = _with_attribute(tag, name, value)
            added = self._new.get(at, (node, []))[1]
            if added:
                line = data.rfind(b"\n", 0, node.start) + 1
                before = data[line : node.start].decode()
                pad = before if not before.strip() else ""
                inside = "".join(f"\n{pad}  {_element(*a)}" for a in added)
                if tag.endswith("/>"):
                    tag = f"{tag[:-2].rstrip()}>{inside}\n{pad}</{node.tag}>"
                else:
                    tag += inside
            data = data[: node.start] + tag.encode() + data[node.tag_end :]
        return data.decode()


def _element(tag: str, attributes: Mapping[str, str | None]) -> str:
    words = [f"{k}={quoteattr(v)}" for k, v in attributes.items() if v is not None]
    return f"<{' '.join([tag, *words])}/>"


def _with_attribute(tag: str, name: str, value: str | None) -> str:
    pattern = re.compile(rf"(\s+){re.escape(name)}\s*=\s*(\"[^\"]*\"|'[^']*')")
    if value is None:
        return pattern.sub("", tag, count=1)
    word = f"{name}={quoteattr(value)}"
    if pattern.search(tag):
        return pattern.sub(lambda m: m.group(1) + word, tag, count=1)
    ending = "/>" if tag.endswith("/>") else ">"
    return f"{tag[: -len(ending)].rstrip()} {word}{ending}"


def _tag_end(data: bytes, start: int) -> int:
    """Return where the tag that starts at `start` ends; '>' may stand in its values."""
    quote = 0
    for i in range(start, len(data)):
        byte = data[i]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in (0x22, 0x27):
            quote = byte
        elif byte == 0x3E:
            return i + 1
    return len(data)
