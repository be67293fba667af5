"""The benchmarks that asv runs, over old commits too: they use public names of fastbp alone."""

import os

if "ASV_ENV_DIR" in os.environ:  # machine code of each commit has a folder of its own; `setup` warms it
    folder = os.path.join(os.environ["ASV_ENV_DIR"], "machine-code", os.environ.get("ASV_COMMIT", "")[:8])
    os.environ["NUMBA_CACHE_DIR"] = folder
