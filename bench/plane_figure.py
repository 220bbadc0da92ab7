#!/usr/bin/python3
"""The five densities as `rheo plot` draws them, the panels of all in one picture: plane_figure.py FOLDER ARCH FIGURE [PANELS], after bench/plane.py --keep FOLDER."""
import os
import subprocess
import sys
import tempfile

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from PIL import Image  # noqa: E402

import plane_data  # noqa: E402

# The panels' frames in rheo plot's PNG, in its pixels (cli/plot_panels.c, plot_picture.c).
PANELS, TOP, SIDE = {"density": 96, "samples": 816, "paths": 1446}, 69, 510
SHOWN, COLOURS = 230, 128


def drawn(model, folder):
    """Solved at 1e-5: a model may have been trained, and kept, at a looser tolerance, whose errors show as specks."""
    picture = os.path.join(folder, "plot.png")
    subprocess.run([os.path.join(os.environ.get("RHEO_BUILD", "build"), "rheo"), "plot", model, "-o", picture, "--rtol", "1e-5", "--atol", "1e-5", "-q"], check=True)
    return Image.open(picture).convert("RGB")


def main(folder, arch, figure, *panels):
    panels = panels or tuple(PANELS)
    inch = SHOWN / 100
    sheet, axes = plt.subplots(len(panels), len(plane_data.DENSITIES), figsize=(inch * len(plane_data.DENSITIES), inch * len(panels) + 0.2), dpi=100, squeeze=False)
    sheet.subplots_adjust(left=0.025 if len(panels) > 1 else 0.005, right=0.995, bottom=0.01, top=1 - 0.24 / (inch * len(panels) + 0.2), wspace=0.03, hspace=0.03)
    with tempfile.TemporaryDirectory() as scratch:
        for column, name in enumerate(plane_data.DENSITIES):
            picture = drawn(os.path.join(folder, "%s_%s.rheo" % (name, arch)), scratch)
            axes[0, column].set_title(name.replace("-", " "), fontsize=10, pad=4)
            for line, panel in enumerate(panels):
                frame = picture.crop((PANELS[panel], TOP, PANELS[panel] + SIDE, TOP + SIDE))
                axes[line, column].imshow(frame.resize((2 * SHOWN, 2 * SHOWN), Image.LANCZOS), interpolation="antialiased", extent=(0, 1, 0, 1))
                axes[line, column].set(xticks=[], yticks=[])
                if column == 0 and len(panels) > 1:
                    axes[line, column].set_ylabel(panel, fontsize=10)
        whole = os.path.join(scratch, "sheet.png")
        sheet.savefig(whole)
        Image.open(whole).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(figure, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
