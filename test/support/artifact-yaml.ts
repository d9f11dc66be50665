interface WrittenArtifact {
  readonly name: string;
  /** `firmware` when left out. */
  readonly item?: string;
  readonly family: string;
  readonly models?: readonly string[];
  /** Of each version its flow-style YAML: `from: files/gw-1.bin`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Artifacts as a file of a fleet repo has them, one document each. */
export function artifactsYaml(...artifacts: readonly WrittenArtifact[]): string {
  return artifacts.map(artifactYaml).join('---\n');
}

function artifactYaml({ name, item = 'firmware', family, models, versions }: WrittenArtifact): string {
  const fits = models === undefined ? '' : `, models: [${models.join(', ')}]`;
  const rows = Object.entries(versions).map(([version, written]) => `  ${version}: { ${written} }\n`);
  return `kind: Artifact\nname: ${name}\nitem: ${item}\nfits: { family: ${family}${fits} }\nversions:\n${rows.join('')}`;
}
