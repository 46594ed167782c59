"""HEIC, the photos of phones: read and written by pillow-heif."""

from collections.abc import Sequence

from rotjax.prediction.kinds import picture

EXTRA = "rotjax[heic]"
NEEDS = ("pillow_heif",)


class Document(picture.Document):
  """As any picture; its own turn (`irot`) is applied where it is read."""

  def _formats(self) -> Sequence[str]:
    try:
      import pillow_heif
    except ImportError:
      raise picture.extra_needed("HEIC", EXTRA) from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)
