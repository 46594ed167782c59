"""rotjax: how far has this 2-D image been turned?"""

__version__ = "0.1.0"
