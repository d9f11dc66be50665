import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

const told = Object.values(SCENARIOS_OF).flat();

tellScenarios(
  'all fleets',
  scriptsNamed((name) => !told.some((start) => name.startsWith(start))),
);
