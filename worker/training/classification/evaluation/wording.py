"""What readers are told of each system and data set, and the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

NOTICE = "research use only, not for diagnostic procedures"
SINGLES = ("vgg16", "vgg19", "resnet50")
"""Networks of one published trunk, which a hybrid ought to beat."""

SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "hybrid": "hybrid, parallel",
        "hybrid-merged": "hybrid, merged",
        "vgg16": "VGG16",
        "vgg19": "VGG19",
        "resnet50": "ResNet50",
        "dcnn": "DCNN",
        "svm": "SVM",
        "colour": "colour only",
    }
)
PROTOCOLS: Mapping[str, str] = MappingProxyType({"grouped": "grouped", "paper": "paper's protocol"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set and the question put to it."""

    title: str
    short: str  # for the heads of columns and panels
    source: str
    caution: str  # facts of the data set; what figures show is said where they are made
    positive_is: str = "malignant"


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "segpc": Task(
            title="plasma cell or other marrow cell",
            short="plasma cell / other",
            source="SegPC-2021, doi 10.21227/7np1-2q42: marrow fields of multiple myeloma",
            caution="No patient's name is known: blocks of file numbers stand for patients. Cells outside the masks "
            "count as other cells, though a few plasma cells may be among them.",
        ),
        "taleqani": Task(
            title="ALL or benign",
            short="ALL / benign",
            source="Aria et al. 2021, doi 10.34740/KAGGLE/DSV/2175623: blood fields of Taleqani Hospital",
            caution="Fields are labelled as a whole, and no patient's name is known: runs of pictures stand for "
            "patients.",
        ),
        "cnmc": Task(
            title="ALL blast or normal cell",
            short="ALL blast / normal",
            source="C-NMC 2019 (The Cancer Imaging Archive): single cells on black",
            caution="The publisher cut each cell out: nothing around it is known.",
        ),
        "matek": Task(
            title="blast or other marrow cell",
            short="blast / other",
            source="Matek et al., Blood 138 (2021): 1917: cells of marrow smears",
            caution="No patient's name is known: blocks of file numbers stand for patients.",
        ),
        "pbc": Task(
            title="eight types of normal blood cell",
            short="eight normal types",
            source="Acevedo et al., Data in Brief 30 (2020): 105474: cells of normal blood",
            caution="No class is malignant: precision, recall, specificity, F1, AUC and average precision are macro "
            "averages over the types. No patient, smear or other group is stated: a group is a label and the file "
            "number divided by 1,000 and rounded down, joined with other groups where these hold near duplicates.",
        ),
        "snam": Task(
            title="ALL or multiple myeloma",
            short="ALL / MM",
            source="SN-AM, doi 10.7937/tcia.2019.of2w8lxr: marrow fields of ALL and of multiple myeloma",
            caution="Both classes are malignant: positive means ALL here, and no figure says how well disease is told "
            "from health. Fields are labelled as a whole, and no patient is named: a field is its own group.",
            positive_is="ALL; both classes are malignant",
        ),
        "all_idb": Task(
            title="lymphoblast or other cell",
            short="blast / other",
            source="ALL-IDB, Donida Labati et al., ICIP 2011: 2045: blood fields and single cells",
            caution="No patient's name is known: a picture is its own group, so that pictures of one patient may lie "
            "on both sides of a split. Cells that the publisher did not mark as lymphoblasts count as other cells.",
        ),
    }
)


def system(arch: str) -> str:
    """Return a system's name for readers."""
    return SYSTEMS.get(arch, arch)


def task(name: str) -> Task:
    """Return what is known of a task; of one that is not listed, its name."""
    return TASKS.get(name, Task(title=name, short=name, source="", caution=""))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once: systems and tasks as listed here, others after them by name."""
    listed = [*TASKS, *SYSTEMS]
    return tuple(sorted(set(names), key=lambda name: (listed.index(name) if name in listed else len(listed), name)))
