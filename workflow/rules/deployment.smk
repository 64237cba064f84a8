# Conda and containers: the environment files of rules are checked before conda creates the environments.

from pathlib import Path

from shapebias.environments import environment_problems

ENVIRONMENTS = {
    os.path.normpath(os.path.join(str(rule.basedir), rule.conda_env)) for rule in workflow.rules if rule.conda_env
}
if "CONDA" in {method.name for method in workflow.deployment_settings.deployment_method}:
    for path in sorted(ENVIRONMENTS):
        for problem in environment_problems(Path(path)):
            raise WorkflowError(problem)
