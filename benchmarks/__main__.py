"""All that is measured on one GPU, in one run: `python -m benchmarks [--only forward,vae,...]`.

A table each of the forward (floor, ours, diffusers), the VAE, each kernel, each attention backend, memory
within a budget, and LoRAs (ours, diffusers + peft). Each part is a process of its own, which starts with an
empty device; one that fails ends the run with its status.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = {
    "forward": ("--parts", "floor,ours,compiled,profile,accuracy,diffusers", "--compiled"),
    "vae": (),
    "kernels": (),
    "attention": (),
    "memory": (),
    "lora": (),
}
#: Of one forward, by others or at another time, on one H100 80GB: they are not run here.
QUOTED = """\
| quoted, ms | 21,504 tokens | 32,760 tokens |
|---|---|---|
| LightX2V (August 2026), FlashAttention-3, Triton norms, bf16 / fp8 | 1665 / 1655 | 2861 / 2930 |
| the ComfyUI wrapper's model, SDPA | 1645 | 2967 |
| 60 plain lines, compiled, with FlashAttention-3, bf16 / row-wise fp8 | 1428 / 1065 | 2497 / 2129 |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="which of " + ", ".join(PARTS))
    wanted = parser.parse_args().only.split(",")
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"--only {', '.join(unknown)}: accepted are {', '.join(PARTS)}")
    for part in wanted:
        print(f"\n## {part}\n", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *PARTS[part]])
        if part == "forward":
            print(f"\n{QUOTED}", flush=True)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
