export type StarterFamily = 'campbell' | 'canedge' | 'both';
export type StarterHost = 'github' | 'gitea' | 'gitlab' | 'none';

/** What a new fleet repo is made for. */
export interface StarterOptions {
  readonly name: string;
  readonly family: StarterFamily;
  /** Where its pull requests and schedules run. */
  readonly host: StarterHost;
  /** An S3-compatible store with keys of its own; null for AWS. */
  readonly endpoint: string | null;
  /** The action as workflows name it, `OWNER/REPO@REF`. */
  readonly action: string;
  /** Who reviews, `@OWNER/TEAM`. */
  readonly owner: string;
  /** For the simulators of this machine: their addresses, three stations, a soak of seconds. */
  readonly trial: boolean;
}

/** Stands in the files until somebody says which action and who reviews; the next steps name it. */
export const PLACEHOLDER_ACTION = 'OWNER/headgate@v0';
export const PLACEHOLDER_OWNER = '@OWNER/fleet';

/** Where the schemas for editors lie: in the repo, so that they need no network, and out of the way. */
export const SCHEMA_FOLDER = '.headgate/schemas';

/** Where `headgate sim s3` listens when nothing else is said. */
export const TRIAL_ENDPOINT = 'http://127.0.0.1:9000';
