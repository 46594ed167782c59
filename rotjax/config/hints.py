"""What a mistyped field or flag likely stands for."""


def meant(name: str) -> list[str]:
  """The config fields that a name may stand for, best first."""
  # Seconds, on the way to an error alone.
  from rotjax.config import base, resolve

  return resolve.meant(name, resolve.flatten(base.base()))
