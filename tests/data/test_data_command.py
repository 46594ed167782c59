import pytest

from rotjax.data import __main__ as command


def test_prepare_says_where(tmp_path, capsys):
  root = tmp_path / "given"
  assert command.main(["prepare", "mnist_5k", "--dir", str(root)]) == 0
  folder = root / "mnist_5k" / "1.0.0"
  assert capsys.readouterr() == (f"mnist_5k is ready in {folder}\n", "")
  assert (folder / "dataset_info.json").exists()
  # The same again finds it.
  assert command.main(["prepare", "mnist_5k", "--dir", str(root)]) == 0


def test_an_unknown_name_is_one_line(capsys):
  assert command.main(["prepare", "minst"]) == 2
  out, err = capsys.readouterr()
  assert (out, err.count("\n")) == ("", 1)
  assert "unknown dataset 'minst': did you mean 'mnist'" in err


def test_nothing_to_do_is_an_error():
  with pytest.raises(SystemExit) as e:
    command.main([])
  assert e.value.code == 2


@pytest.mark.parametrize("args", [["--help"], ["prepare", "--help"]])
def test_help_shows_two_examples(args, capsys):
  with pytest.raises(SystemExit) as e:
    command.main(args)
  assert e.value.code == 0
  assert capsys.readouterr().out.count("  python -m rotjax.data prepare") == 2


def test_the_module_runs(helpers):
  process = helpers.python("-m", "rotjax.data", "prepare", "nothing")
  out, err = process.communicate(timeout=60)
  assert (out, process.returncode) == ("", 2)
  assert err.startswith("unknown dataset 'nothing'") and err.count("\n") == 1
