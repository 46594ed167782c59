"""What a view tells about the angle without any content."""
