"""The executables."""
