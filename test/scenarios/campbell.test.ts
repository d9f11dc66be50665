import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'scenarios of campbell',
  scriptsNamed((name) => SCENARIOS_OF.campbell.some((start) => name.startsWith(start))),
);
