import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

const told = Object.values(SCENARIOS_OF).flat();

tellScenarios(
  'scenarios of all fleets',
  scriptsNamed((name) => !told.some((start) => name.startsWith(start))),
);
