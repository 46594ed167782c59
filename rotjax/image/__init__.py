"""Images as arrays: turned, blurred, viewed; and picture files."""
