"""From a folder of pictures to prepared records."""
