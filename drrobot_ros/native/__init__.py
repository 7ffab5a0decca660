"""C++ kernels behind a plain C interface, and what builds and loads them."""
