"""The commands of ``drrobot``, one module each."""
