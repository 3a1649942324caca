from plugins.talking.tests.studio import base_model, studio

__all__ = ["base_model", "studio"]
