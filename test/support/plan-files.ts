import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A plan as users are shown it. */
export interface ShownPlan {
  /** File, and in a page the line of the block. */
  name: string;
  yaml: string;
}

/** What the steps of a page that are shown by themselves stand in. */
const FRAME = `name: shown
inputs: { region: string, cities: array, mails: array, pause: string, specialist: string }
`;

/** The plans of a folder. */
export async function plansOfFolder(folder: string): Promise<ShownPlan[]> {
  const files = (await readdir(`${root}${folder}`)).sort();
  return Promise.all(
    files.map(async (file) => ({
      name: `${folder}/${file}`,
      yaml: await readFile(`${root}${folder}/${file}`, 'utf8'),
    })),
  );
}

/** The plans of a page: blocks of `yaml plan`, and of `yaml steps` in a frame. @throws Error At any other block of YAML. */
export async function plansOfPage(page: string): Promise<ShownPlan[]> {
  const text = await readFile(`${root}${page}`, 'utf8');
  return [...text.matchAll(/^```(ya?ml[^\n]*)\n(.*?)^```$/gms)].map(({ 1: info, 2: block = '', index }) => {
    const name = `${page}:${text.slice(0, index).split('\n').length}`;
    if (info === 'yaml plan') return { name, yaml: block };
    if (info === 'yaml steps') return { name, yaml: `${FRAME}steps:\n${block}` };
    throw new Error(`${name}: is neither a plan nor steps; mark it as "yaml plan" or "yaml steps"`);
  });
}
