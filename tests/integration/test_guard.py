import subprocess
import sys

import torch

from worker.nets.guard import torchvision_vgg


def test_the_vgg_builders_are_torchvisions_own() -> None:
    vgg = torchvision_vgg()
    assert vgg.__name__ == "torchvision.models.vgg"
    assert vgg.cfgs["D"].count("M") == 5


def test_a_second_call_declares_nothing_again() -> None:
    assert torchvision_vgg() is torchvision_vgg()


def test_importing_the_guard_alone_loads_no_torchvision() -> None:
    program = "import sys, worker.nets.guard; print('torchvision' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_the_operators_are_declared_only_where_torch_has_no_cuda_build() -> None:
    program = (
        "import torch, worker.nets.guard as guard; torch.version.cuda = '13.0'\n"
        "try: guard.torchvision_vgg(); print('imported')\n"
        "except RuntimeError: print('raised')\n"
        "print(len(guard._declared))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported_as_is = torch.version.cuda is not None or told.stdout.startswith("imported")
    assert told.stdout.split() == ["imported" if imported_as_is else "raised", "0"]
