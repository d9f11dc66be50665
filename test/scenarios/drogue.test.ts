import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'drogue',
  scriptsNamed((name) => SCENARIOS_OF.drogue.some((start) => name.startsWith(start))),
);
