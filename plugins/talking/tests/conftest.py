from plugins.talking.tests.studio import studio

__all__ = ["studio"]
