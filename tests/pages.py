"""A report as a test reads it: its tags, text and tables."""

import html.parser
import re

VOID = {"meta", "img", "br", "hr", "link", "input", "image", "path", "use"}


class Page(html.parser.HTMLParser):
  """Tags, attributes, text and rows of a page; checks that tags are closed."""

  def __init__(self, text):
    super().__init__()
    self.attributes, self.open, self.text = [], [], []
    self.rows, self.tables = [], {}
    self.feed(text)
    self.close()
    assert not self.open, self.open

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.attributes += [(tag, key, value) for key, value in attrs]
    if tag not in VOID:
      self.open.append(tag)
    if tag == "table":
      self.rows = self.tables.setdefault(found.get("class", ""), [])
    elif tag == "tr":
      self.rows.append([])
    elif tag in ("td", "th"):
      self.rows[-1].append("")

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self.open and self.open[-1] == tag, (tag, self.open)
      self.open.pop()

  def handle_data(self, data):
    self.text.append(data)
    if {"td", "th"} & set(self.open[-3:]) and self.rows:
      self.rows[-1][-1] += data

  def values(self, key):
    return [v for _, k, v in self.attributes if k == key]


def assert_alone(text):
  """Nothing that a browser would fetch, and no way for it to."""
  found = Page(text)
  for tag, key, value in found.attributes:
    if key in ("src", "href", "xlink:href"):
      assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert not key.startswith("on"), (tag, key)
    for target in re.findall(r"url\(([^)]*)", value or ""):
      assert target.startswith("#")
  assert "http:" not in text and "https:" not in text
  without_data = re.sub(r'base64,[^"]*', "", text)
  script = re.search(r"<script>(.*?)</script>", without_data, re.DOTALL)[1]
  code = re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
  assert "//" not in without_data.replace(script, "") + code
  assert "@import" not in text and "<link" not in text
  policy = found.values("content")
  assert any("default-src 'none'" in value for value in policy)
  ids = found.values("id")
  assert len(ids) == len(set(ids))
  # What refers to an id finds it.
  used = re.findall(r'(?:url\(|href=")#([\w-]+)', text)
  assert set(used) <= set(ids)
  return found
