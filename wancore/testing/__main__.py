"""`python -m wancore.testing`: writes a tiny model."""

from wancore.testing.tiny import main

main()
