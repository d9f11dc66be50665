import { VERSION } from './help.ts';
import { hasLoggers } from './starter-fleet.ts';
import type { StarterOptions } from './starter-options.ts';

type Files = Readonly<Record<string, string>>;

/** How often the fleet is looked at between merges. */
const EVERY = '*/15 * * * *';

/** The workflows of where the repository lives. */
export function hostFiles(options: StarterOptions): Files {
  switch (options.host) {
    case 'none':
      return {};
    case 'gitlab':
      return { '.gitlab-ci.yml': gitlabYaml(options) };
    case 'github':
    case 'gitea':
      return {
        [`.${options.host}/workflows/plan.yml`]: planYaml(options),
        [`.${options.host}/workflows/apply.yml`]: applyYaml(options),
      };
    default:
      return options.host satisfies never;
  }
}

/** AWS trusts the tokens of GitHub and GitLab; the other stores know keys only. */
function byRole({ host, endpoint }: StarterOptions): boolean {
  return endpoint === null && (host === 'github' || host === 'gitlab');
}

/** Names of the secrets that connections refer to, in the order in which fleet.yaml needs them. */
function secretNames(options: StarterOptions): readonly string[] {
  const broker = hasLoggers(options.family) ? ['MQTT_PASSWORD'] : [];
  if (options.endpoint !== null) return [...broker, 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'];
  return byRole(options) ? broker : [...broker, 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
}

function checkout({ host }: StarterOptions): string {
  return `${host === 'gitea' ? 'https://github.com/' : ''}actions/checkout@v5`;
}

/** The last lines of our step: what fleet.yaml refers to, by name. The token of the job is an input of the action's own. */
function environment(options: StarterOptions): string {
  const names = secretNames(options);
  if (names.length === 0) return '';
  return `        env:\n${names.map((name) => `          ${name}: \${{ secrets.${name} }}\n`).join('')}`;
}

function planYaml(options: StarterOptions): string {
  const role = byRole(options)
    ? `      - name: Credentials that may only read
        if: github.event.pull_request.head.repo.full_name == github.repository && github.actor != 'dependabot[bot]'   # strangers get none
        uses: aws-actions/configure-aws-credentials@v5
        with:
          role-to-assume: \${{ vars.HEADGATE_PLAN_ROLE }}
          aws-region: eu-west-2
`
    : '';
  return `# A pull request gets one comment that says what merging it does. Nothing is sent to a device.
# A pull request of a fork runs here too: without secrets, and so without what the devices report.
name: plan
on:
  pull_request:
permissions:
  contents: read
  pull-requests: write            # the comment
${byRole(options) ? '  id-token: write                 # the role at AWS\n' : ''}concurrency:
  group: ${options.name}-plan-\${{ github.event.pull_request.number }}
  cancel-in-progress: true        # a plan changes nothing: the newest commit counts
jobs:
  plan:
    runs-on: ubuntu-24.04
    timeout-minutes: 15
    steps:
      - uses: ${checkout(options)}
        with:
          fetch-depth: 0          # the base is compared with
          persist-credentials: false
${role}      - uses: ${options.action}
        with:
          command: plan
${environment(options)}`;
}

function applyYaml(options: StarterOptions): string {
  const role = byRole(options)
    ? `      - uses: aws-actions/configure-aws-credentials@v5
        with:
          role-to-assume: \${{ vars.HEADGATE_APPLY_ROLE }}
          aws-region: eu-west-2
          role-duration-seconds: 3600
`
    : '';
  const listen = hasLoggers(options.family)
    ? `          listen: \${{ inputs.new-ledger && '35m' || '' }}   # loggers say all about themselves every half hour\n`
    : '';
  return `# A merge is carried out, and every quarter of an hour the fleet is looked at: waves open, soak times pass, drift is seen.
name: apply
on:
  push:
    branches: [main]
  schedule:
    - cron: "${EVERY}"
  workflow_dispatch:
    inputs:
      new-ledger:
        description: The first run of a new fleet. Takes what is reported as the present state, sends nothing
        type: boolean
        default: false
      accept-engine:
        description: After an upgrade of Headgate, lets it plan more than the last version did
        type: boolean
        default: false
permissions:
  contents: write                 # the ledger, on its branch
${byRole(options) ? '  id-token: write                 # the role at AWS\n' : ''}concurrency:
  group: ${options.name}-apply
  cancel-in-progress: false       # a pass under way is never cut off
jobs:
  apply:
    if: github.ref == 'refs/heads/main'
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    steps:
      - uses: ${checkout(options)}
        with:
          fetch-depth: 0          # the commit must descend from the last one applied
          persist-credentials: false
${role}      - uses: ${options.action}
        with:
          command: apply
${listen}          new-ledger: \${{ inputs.new-ledger || 'false' }}
          accept-engine: \${{ inputs.accept-engine || 'false' }}
${environment(options)}`;
}

function gitlabYaml(options: StarterOptions): string {
  const role = (name: string): string =>
    byRole(options)
      ? `  id_tokens: { AWS_TOKEN: { aud: sts.amazonaws.com } }
  variables: { AWS_REGION: eu-west-2, AWS_ROLE_ARN: $${name}, AWS_WEB_IDENTITY_TOKEN_FILE: $CI_PROJECT_DIR.token }
`
      : '';
  const token = byRole(options) ? '    - printf %s "$AWS_TOKEN" > "$AWS_WEB_IDENTITY_TOKEN_FILE"\n' : '';
  const listen = hasLoggers(options.family) ? ' --listen 35m' : '';
  const secrets = ['HEADGATE_GIT_TOKEN', ...secretNames(options)];
  return `# A merge request is planned, a merge is applied, and a pipeline schedule of every 15 minutes keeps it true.
# Variables of the project, masked: ${secrets.join(', ')}.
# HEADGATE_GIT_TOKEN is a project access token that may write the repository: the ledger lies on its branch.
# Those that may change something are protected besides, so that only main sees them.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == "main"

default:
  image: node:24
  before_script:
    - npm install --global headgate@${VERSION}

variables:
  GIT_DEPTH: "0"                  # the base is compared with, and the commit must descend from the last one applied

plan:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  interruptible: true             # a plan changes nothing
${role('HEADGATE_PLAN_ROLE')}  script:
${token}    - headgate validate --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA"
    - headgate plan --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA" --comment plan.md || [ $? -eq 2 ]   # 2 says that something changes
  artifacts:
    paths: [plan.md]

apply:
  rules:
    - if: $CI_COMMIT_BRANCH == "main" && ($CI_PIPELINE_SOURCE == "push" || $CI_PIPELINE_SOURCE == "schedule")
  interruptible: false            # a pass under way is never cut off
  resource_group: ${options.name}-apply
${role('HEADGATE_APPLY_ROLE')}  script:
${token}    - headgate apply || [ $? -eq 2 ]   # 2 says that something is under way

begin:                            # the first run of a new fleet, once, by hand: takes what is reported, sends nothing
  rules:
    - if: $CI_COMMIT_BRANCH == "main" && $CI_PIPELINE_SOURCE == "web"
      when: manual
  interruptible: false
  resource_group: ${options.name}-apply
${role('HEADGATE_APPLY_ROLE')}  script:
${token}    - headgate apply --new-ledger${listen}
`;
}
