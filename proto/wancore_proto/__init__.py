"""Generated messages and stubs of the wancore API; see proto/wancore/v1."""
