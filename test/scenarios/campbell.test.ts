import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'campbell',
  scriptsNamed((name) => SCENARIOS_OF.campbell.some((start) => name.startsWith(start))),
);
