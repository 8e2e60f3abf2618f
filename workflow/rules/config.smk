# The config files: what is wrong with them is told in our own words, before Snakemake reads them. No rules.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

CODE = Path(workflow.basedir)
sys.path.insert(0, str(CODE / "scripts"))
# A profile that Snakemake found in another checkout has loaded the library of that one: two versions must not mix.
loaded = sys.modules.get("volume_entropy")
if loaded is not None and not (CODE / "scripts").samefile(
    Path(loaded.__file__).parents[1]
):
    for name in [name for name in sys.modules if name.startswith("volume_entropy")]:
        del sys.modules[name]

from volume_entropy import config_text
from volume_entropy.errors import ConfigError

if workflow.is_main_process:
    try:
        config_text.check_config_files(Path(), workflow.overwrite_configfiles)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


configfile: config_text.CONFIG_FILE
