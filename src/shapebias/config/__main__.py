"""Print the JSON schema of a config: python -m shapebias.config > workflow/schemas/config.schema.json"""

import json
import sys

from shapebias.config.models import json_schema

json.dump(json_schema(), sys.stdout, indent=2, ensure_ascii=False)
sys.stdout.write("\n")
