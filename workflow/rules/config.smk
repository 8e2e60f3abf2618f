# The config files: what is wrong with them is told in our own words, before Snakemake reads them. No rules.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

CODE = Path(workflow.basedir)
sys.path.insert(0, str(CODE / "scripts"))

from volume_entropy import config_text
from volume_entropy.errors import ConfigError

if workflow.is_main_process:
    try:
        config_text.check_config_files(Path(), workflow.overwrite_configfiles)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


configfile: config_text.CONFIG_FILE
