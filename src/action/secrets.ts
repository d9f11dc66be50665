import type { ConnectionDeclaration, Declared } from '#model/declared.ts';

const ALWAYS = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_ACCESS_KEY_ID'];

/** A mask of a character or two would star out half of every line. */
const SHORTEST_MASK = 4;

/** Values of the environment that connections refer to, and those of the AWS credentials: nothing of them is ever printed. */
export function secretValues(declared: Declared | null, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const names = new Set(ALWAYS);
  for (const connection of declared?.fleet.connections.values() ?? []) {
    for (const text of secretTexts(connection)) for (const [, name = ''] of text.matchAll(/\$\{env:([^}]*)\}/g)) names.add(name);
  }
  return [...names].toSorted().flatMap((name) => {
    const value = env[name] ?? '';
    return value.length < SHORTEST_MASK ? [] : [value];
  });
}

/** User names, addresses and regions are no secrets; a URL may carry one. */
function secretTexts(connection: ConnectionDeclaration): readonly string[] {
  switch (connection.type) {
    case 'mqtt':
      return [connection.password, connection.key, /@/.test(connection.url) ? connection.url : null].filter((text) => text !== null);
    case 's3':
      return [connection.accessKeyId, connection.secretAccessKey].filter((text) => text !== null);
    case 'aws-iot':
      return [];
  }
}
