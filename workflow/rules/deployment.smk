# Conda and containers: what is wrong with the environments that rules name, said before conda is asked to make them.

from pathlib import Path

from shapebias.environments import environment_problems

ENVIRONMENTS = {
    os.path.normpath(os.path.join(str(rule.basedir), rule.conda_env)) for rule in workflow.rules if rule.conda_env
}
if "CONDA" in {method.name for method in workflow.deployment_settings.deployment_method}:
    for path in sorted(ENVIRONMENTS):
        for problem in environment_problems(Path(path)):
            raise WorkflowError(problem)
