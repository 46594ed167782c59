"""docs/tutorial.ipynb: it runs, and what is stored of it is small and clean."""

import json
import os
import pathlib
import sys

import pytest

FILE = pathlib.Path(__file__).parent.parent / "docs" / "tutorial.ipynb"
CELLS = json.loads(FILE.read_text())["cells"]


def _text(outputs):
  """What cells printed or returned as text."""
  found = []
  for output in outputs:
    data = output.get("data", {})
    found += output.get("text", []), data.get("text/plain", [])
  return "\n".join("".join(part) for part in found)


def test_a_sentence_says_why_before_every_cell():
  kinds = [cell["cell_type"] for cell in CELLS]
  assert kinds[0] == "markdown"
  for before, kind in zip(kinds, kinds[1:]):
    assert kind == "markdown" or before == "markdown"


def test_links_lead_to_pages():
  prose = [c["source"] for c in CELLS if c["cell_type"] == "markdown"]
  text = "".join("".join(lines) for lines in prose)
  pages = [part.split(")")[0] for part in text.split("](")[1:]]
  assert len(pages) > 5
  for page in pages:
    assert (FILE.parent / page.partition("#")[0]).is_file(), page


def test_the_stored_outputs_are_those_of_one_clean_run():
  code = [cell for cell in CELLS if cell["cell_type"] == "code"]
  counts = [cell["execution_count"] for cell in code]
  assert counts == list(range(1, len(code) + 1))
  outputs = [output for cell in code for output in cell["outputs"]]
  assert {"stream", "display_data"} <= {o["output_type"] for o in outputs}
  assert not [o for o in outputs if o["output_type"] == "error"]
  assert not [o for o in outputs if o.get("name") == "stderr"]
  assert FILE.stat().st_size < 300_000
  # Nothing of the machine that it was run on.
  assert str(pathlib.Path.home()) not in _text(outputs)
  assert "Traceback" not in _text(outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the kernel's own, as it starts
def test_the_notebook_runs(tmp_path, monkeypatch):
  import nbclient
  import nbformat

  root = str(FILE.parent.parent)
  path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
  monkeypatch.setenv("PYTHONPATH", path)
  # Jupyter's settings of whoever runs the tests are not asked.
  monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "settings"))
  notebook = nbformat.read(FILE, as_version=4)
  nbformat.validate(notebook)
  client = nbclient.NotebookClient(
    notebook,
    timeout=1800,
    kernel_name="python3",
    resources={"metadata": {"path": str(tmp_path)}},
  )
  client.execute()  # raises where a cell does
  outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
  assert "mean absolute error" in _text(outputs)
  assert "Traceback" not in _text(outputs)


def _store():
  """Runs the notebook and stores it with its outputs."""
  import nbclient
  import nbformat

  notebook = nbformat.read(FILE, as_version=4)
  nbclient.NotebookClient(notebook, timeout=1800, record_timing=False).execute()
  # The version of Python is the only other thing that a run leaves.
  notebook.metadata["language_info"] = {"name": "python"}
  nbformat.write(notebook, FILE)


if __name__ == "__main__":
  sys.exit(_store())
