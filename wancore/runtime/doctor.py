"""What this installation and this machine have, and what holds here: the facts behind `wancore doctor`."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from wancore.checkpoints.memory import available_memory
from wancore.errors import WancoreError
from wancore.kernels.attention import Attention
from wancore.kernels.attention.backend import ROLES, Role, shown_dtype
from wancore.kernels.attention.registry import all_backends, state
from wancore.kernels.build import BuildError, cache_folder, compiler
from wancore.kernels.build import version as compiler_version
from wancore.kernels.library import KernelLibrary, switched_off
from wancore.kernels.sources import KERNELS
from wancore.kernels.vae import LIBRARY as VAE_KERNELS
from wancore.plugins import PluginManager
from wancore.runtime.budget import Budget, device_memory, gigabytes
from wancore.runtime.device import pick_device, pick_dtype
from wancore.runtime.gpu import Gpu, gpus
from wancore.runtime.settings import Settings, setting_sources
from wancore.runtime.switches import Switch, allocator, switches

Row = tuple[str, str]
HEAD_DIM = 128  # of every published model


class Doctor:
    """Each section is a list of (name, finding)."""

    def __init__(self, settings: Settings, plugins: PluginManager) -> None:
        self.settings, self.plugins = settings, plugins
        self.device = pick_device(settings.device)
        self.dtype = pick_dtype(settings.dtype, self.device)
        self.gpus = gpus()

    def sections(self) -> Iterator[tuple[str, list[Row]]]:
        named: dict[str, Callable[[], list[Row]]] = {
            "versions": self.versions,
            "GPUs": self.devices,
            "memory": self.memory,
            "kernels": self.kernels,
            "attention": self.attention,
            "switches": self.switches,
            "settings": self.changed_settings,
            "plugins": self.plugin_states,
            "disk": self.disk,
        }
        for name, section in named.items():
            yield name, section()

    def versions(self) -> list[Row]:
        cuda = torch.version.cuda or "none: this PyTorch is built for CPUs"
        cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else "none"
        return [
            ("wancore", version("wancore")),
            ("Python", platform.python_version()),
            ("PyTorch", str(torch.__version__)),
            ("CUDA of PyTorch", str(cuda)),
            ("cuDNN", str(cudnn)),
            ("driver", driver()),
            ("nvcc", found_compiler()),
        ]

    def devices(self) -> list[Row]:
        found = [(f"cuda:{gpu.index}", gpu.describe()) for gpu in self.gpus]
        computing = f"{self.device}, in {shown_dtype(self.dtype)}"
        return [*(found or [("none", "everything is computed on the CPU")]), ("in use", computing)]

    def memory(self) -> list[Row]:
        host = available_memory()
        rows = [("host, free", gigabytes(host) if host is not None else "unknown")]
        for gpu in self.gpus:
            free, total = torch.cuda.mem_get_info(gpu.index)
            rows.append((f"cuda:{gpu.index}, free", f"{gigabytes(free)} of {gigabytes(total)}"))
        if self.device.type == "cuda":
            budget = Budget.of(self.settings.vram, *device_memory(self.device))
            rows.append(("may be used", f"{gigabytes(budget.nbytes)} ({budget.source})"))
        return rows

    def kernels(self) -> list[Row]:
        if switched_off():
            return [("state", "switched off (WANCORE_KERNELS)")]
        if not self.gpus:
            return [("state", "not in use: no GPU")]
        rows = [(library.name, self.built(library)) for library in (KERNELS, VAE_KERNELS)]
        return [*rows, ("folder", str(cache_folder()))]

    def built(self, library: KernelLibrary) -> str:
        if library.serves(torch.device("cuda", self.gpu.index)):
            return "built"
        return f"not built; PyTorch's own operations instead ({library.problem or 'see the log'})"

    @property
    def gpu(self) -> Gpu:
        return self.gpus[self.device.index or 0]

    def attention(self) -> list[Row]:
        backends = all_backends(self.plugins)
        rows = []
        for backend in backends:
            found = state(backend, self.device)
            finding = found.problem or "usable"
            if found.error is not None:
                kind = "exact" if backend.exact else "lossy, only on request"
                finding += f", {kind}, error {found.error:.1e}"
            rows.append((backend.name, f"{finding} ({backend.help})"))
        return rows + [
            (f"for {role}", self.served(Attention(self.settings.attention, backends), role)) for role in ROLES
        ]

    def served(self, attention: Attention, role: Role) -> str:
        try:
            served = attention.settle(role, self.device, self.dtype, HEAD_DIM)
        except WancoreError as error:
            return str(error)
        return f"{served.backend.name} ({served.reason})"

    def switches(self) -> list[Row]:
        chosen = [allocator(self.settings)]
        if self.gpus:
            chosen = [*switches(self.gpu, self.settings), *chosen]
        return [(switch.name, shown(switch)) for switch in chosen]

    def changed_settings(self) -> list[Row]:
        sources = setting_sources()
        rows = [
            (name, f"{getattr(self.settings, name)} ({source})") for name, source in sorted(sources.items())
        ]
        return rows or [("all", "at their defaults")]

    def plugin_states(self) -> list[Row]:
        return [
            (status.name, f"{status.state}, {status.distribution} {status.version}")
            for status in self.plugins.status
        ]

    def disk(self) -> list[Row]:
        folders = {"here": Path.cwd(), "kernels": cache_folder(), "state": state_folder()}
        if self.settings.models is not None:
            folders["models"] = self.settings.models
        return [(name, free_space(folder)) for name, folder in folders.items()]


def shown(switch: Switch) -> str:
    value = switch.value or "default" if isinstance(switch.value, str) else "on" if switch.value else "off"
    return f"{value} ({switch.source}): {switch.reason}"


def driver() -> str:
    if not torch.cuda.is_available():
        return "none"
    file = Path("/proc/driver/nvidia/version")
    words = file.read_text().split() if file.exists() else []
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown")


def found_compiler() -> str:
    try:
        path = compiler()
        return f"{path}, {compiler_version(path).strip().splitlines()[-1]}"
    except BuildError as error:
        return f"none ({str(error).splitlines()[-1]})"


def state_folder() -> Path:
    """`$XDG_STATE_HOME/wancore`, where the server keeps its jobs."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "wancore"


def free_space(folder: Path) -> str:
    there = next((p for p in (folder, *folder.absolute().parents) if p.is_dir()), None)
    if there is None:
        return f"{folder}: not there"
    return f"{gigabytes(shutil.disk_usage(there).free)} free at {folder}"
