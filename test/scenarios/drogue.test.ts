import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'scenarios of drogue',
  scriptsNamed((name) => SCENARIOS_OF.drogue.some((start) => name.startsWith(start))),
);
