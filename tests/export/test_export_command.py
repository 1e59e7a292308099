"""`modelport export` and `modelport publish` as a person runs them."""

import json
import shlex
import subprocess
import sys

import keras
import numpy as np
import pytest

from modelport.__main__ import main

layers = keras.layers


@pytest.fixture
def run_folder(tmp_path, digits, images):
    folder = tmp_path / "run"
    folder.mkdir()
    digits().save(folder / "model.keras")
    np.savez(folder / "samples.npz", image=images, label=np.zeros(16))
    image = {"height": 28, "width": 28, "shape": [784]}
    record = {
        "recipe": None,
        "labels": list("0123456789"),
        "image": image,
        "metrics": {},
        "dataset": {},
        "settings": {},
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_what_publish_prints_works_when_pasted(run_folder, tmp_path, capsys, serve):
    repository = tmp_path / "models"
    assert main(["publish", str(run_folder), "--name", "digits", "--repository", str(repository)]) == 0
    text, steps = capsys.readouterr()
    assert f"Published digits version 1 in {repository / 'digits' / '1'}" in text
    for row in ("image_bytes", "probabilities", "[-1, 28, 28]", "uint8"):
        assert row in text
    assert "16 real samples" in text
    assert [line.split()[0] for line in steps.splitlines()] == ["load", "describe", "write", "prove", "report"]

    server = serve(
        "--model_name=digits", f"--model_base_path={repository / 'digits'}", "--port=auto", "--rest_api_port=auto"
    )
    rest, grpc = server.address("REST"), server.address("gRPC")
    curl = next(line for line in text.splitlines() if line.startswith("curl "))
    answer = subprocess.run(
        shlex.split(curl.replace("http://localhost:8501", rest)), capture_output=True, timeout=30, check=True
    )
    [prediction] = json.loads(answer.stdout)["predictions"]
    assert prediction["label"] == str(prediction["class_id"])

    program = text[text.index("import numpy") :].replace("localhost:8500", grpc)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "probabilities" in done.stdout


def test_json_for_programs_and_equal_content(tmp_path, capsys):
    model = keras.Sequential([keras.Input((784,)), layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    argv = ["publish", str(tmp_path / "model.keras"), "--name", "m", "--repository", str(tmp_path / "models"), "--json"]
    argv += ["--image", "28x28", "--labels", str(tmp_path / "labels.txt")]
    answers = []
    for _ in range(2):
        assert main(argv) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert [(answer["version"], answer["new"]) for answer in answers] == [(1, True), (1, False)]
    assert set(answers[0]["signatures"]) == {"serving_default", "serve_image_bytes", "classify"}
    assert any("softmax is applied" in note for note in answers[0]["proof"]["notes"])
    assert (tmp_path / "models" / "m" / "1" / "assets" / "labels.txt").read_text() == "cat\ndog\n"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["export", "nowhere.keras", "--to", "out"], "does not exist"),
        (["publish", "model.keras", "--name", "m", "--image", "28by28"], "28x28"),
        (["publish", "model.keras", "--name", "m", "--samples", "none.npz"], "'none.npz'"),
        (["publish", "model.keras", "--name", "m", "--labels", "labels.txt"], "'labels.txt'"),
        (["publish", "model.keras", "--name", "../m"], "model name"),
        (["publish", "model.keras", "--name", "m", "--max-regression", "-1"], "max_regression"),
        (["publish", "model.keras", "--name", "m", "--metric-direction", "profit"], "NAME=min or NAME=max"),
        (["publish", "model.keras", "--name", "m", "--metric-direction", "profit=up"], "min or max"),
        (["publish", "model.keras", "--name", "m", "--input-signature", "x=float32"], "image=uint8[?,?,?,3]"),
        (["publish", "model.keras", "--name", "m", "--input-signature", "x=float33[?,2]"], "float33"),
        (["publish", "model.keras", "--name", "m", "--input-signature", "y=float32[?,784]", "--allow-h5"], "'y'"),
        (["publish", "model.keras", "--name", "m", "--custom", "Thing=module"], "NAME=module:Class"),
        (["publish", "model.keras", "--name", "m", "--custom", "Thing=nowhere:Class"], "'nowhere'"),
        (["publish", "model.keras", "--name", "m", "--allow-non-finite", "z"], "'z'"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_1(tmp_path, monkeypatch, capsys, argv, text):
    keras.Sequential([keras.Input((784,)), layers.Dense(2)]).save(tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    assert main([*argv, "--json"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert text in error
    assert len(error.splitlines()) == 1
    assert error.startswith(f"modelport {argv[0]}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras"]


def test_an_input_signature_on_the_command_line(tmp_path, capsys):
    x = keras.Input((8, 8, 3), name="image")
    keras.Model(x, layers.GlobalAveragePooling2D(name="mean")(x)).save(tmp_path / "model.keras")
    argv = ["publish", str(tmp_path / "model.keras"), "--name", "m", "--repository", str(tmp_path / "models"), "--json"]
    assert main([*argv, "--input-signature", "image=float32[?,?,?,3]"]) == 0
    signatures = json.loads(capsys.readouterr().out)["signatures"]
    assert signatures["serving_default"]["inputs"]["image"]["shape"] == [-1, -1, -1, 3]


def test_the_first_line_says_how_it_was_proven(tmp_path, capsys):
    keras.Sequential([keras.Input((3,), name="x"), layers.Dense(2)]).save(tmp_path / "model.keras")
    np.savez(tmp_path / "samples.npz", x=np.ones((4, 3), np.float32))
    argv = ["publish", str(tmp_path / "model.keras"), "--name", "m", "--repository", str(tmp_path / "models")]
    for more, said in (([], "proven on random samples"), (["--samples", str(tmp_path / "samples.npz")], "proven")):
        assert main([*argv, *more]) == 0
        assert capsys.readouterr().out.splitlines()[0].endswith(f", {said}")


@pytest.mark.parametrize("argv", [["publish", "x.keras"], ["export", "x.keras"], ["publish"]])
def test_a_wrong_command_line_is_exit_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage: modelport" in capsys.readouterr().err


def test_importing_the_package_and_its_commands_imports_no_tensorflow():
    program = (
        "import sys, modelport_export, modelport_export.cli\n"
        "modelport_export.ImageInput(28, 28)\n"
        "heavy = {'tensorflow', 'keras', 'grpc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from modelport_export import publish, export\n"
        "assert callable(publish) and callable(export) and 'tensorflow' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
