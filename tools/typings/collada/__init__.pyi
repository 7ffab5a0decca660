from typing import Any

Collada: Any
common: Any
polylist: Any
triangleset: Any

def __getattr__(name: str) -> Any: ...
