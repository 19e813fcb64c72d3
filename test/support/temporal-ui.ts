import type { Browser, Locator, Page } from 'playwright-core';
import { until } from './rig.js';
import { temporalServer } from './temporal-server.js';

/** The tabs of a workflow's page, as their addresses name them. */
export type WorkflowTab = 'history' | 'pending-activities' | 'user-metadata' | 'search-attributes';

/** How long the UI may take for one step. */
const STEP_MS = 30_000;
/** How long a page has to show something before it is loaded anew, the first time; then twice as long, and so on (milliseconds). */
const RELOAD_MS = 2_000;

/** The Temporal UI as an operator has it: one page of a fresh browser profile. */
export class TemporalUi {
  private constructor(
    readonly page: Page,
    private readonly base: string,
  ) {}

  /** A page with no cookies and nothing stored, as on somebody's first visit. */
  static async open(browser: Browser): Promise<TemporalUi> {
    const { uiUrl, namespace } = await temporalServer();
    const context = await browser.newContext({ viewport: { width: 1600, height: 1200 } });
    context.setDefaultTimeout(STEP_MS);
    return new TemporalUi(await context.newPage(), `${uiUrl}/namespaces/${namespace}/workflows`);
  }

  /** Opens the list of the workflows that a query finds. */
  async openList(query: string): Promise<void> {
    await this.#goTo(`${this.base}?query=${encodeURIComponent(query)}`);
  }

  /** Adds columns to the list, named as in its configuration. */
  async addColumns(names: readonly string[]): Promise<void> {
    await visible(this.page.getByTestId('workflows-summary-table-configuration-button')).click();
    for (const name of names) await visible(this.page.getByRole('button', { name: `Add ${name} column` })).click();
    await visible(this.page.getByTestId('drawer-close-button')).click();
  }

  /** Opens a workflow's page at one of its tabs. */
  async openWorkflow(run: { workflowId: string; runId: string }, tab: WorkflowTab): Promise<void> {
    await this.#goTo(`${this.base}/${encodeURIComponent(run.workflowId)}/${run.runId}/${tab}`);
    await visible(this.page.getByRole('heading', { name: run.workflowId })).waitFor();
  }

  /** Presses "Request Cancellation", and confirms it. Returns when the confirmation was pressed (milliseconds since the epoch). */
  async requestCancellation(): Promise<number> {
    await visible(this.page.getByRole('button', { name: 'Request Cancellation' })).click();
    return this.#confirm('Cancel Workflow', 'Confirm');
  }

  /** Terminates by the menu, with a reason. Returns when the confirmation was pressed (milliseconds since the epoch). */
  async terminate(reason: string): Promise<number> {
    await this.#chooseAction('Terminate');
    await this.#dialog('Terminate Workflow').getByPlaceholder('Enter a reason').fill(reason);
    return this.#confirm('Terminate Workflow', 'Terminate');
  }

  /** Sends a signal by its dialog, chosen from the list of those that the workflow handles. */
  async sendSignal(name: string, argument: unknown): Promise<void> {
    await this.#chooseAction('Send a Signal');
    const dialog = this.#dialog('Send a Signal');
    await dialog.getByTestId('signal-select-button').click();
    await visible(this.page.getByRole('option', { name })).click();
    const editor = visible(dialog.locator('[contenteditable="true"]'));
    await editor.click();
    await this.page.keyboard.insertText(JSON.stringify(argument));
    // Left, the editor puts its text on more lines, and "Submit" would move away under the click.
    await editor.blur();
    await this.#confirm('Send a Signal', 'Submit');
    await dialog.waitFor({ state: 'hidden' });
  }

  /** The page's text as it is shown, frames included: the UI renders markdown in frames. */
  async text(): Promise<string> {
    const texts = await Promise.all(
      this.page.frames().map((frame) =>
        frame
          .locator('body')
          .innerText()
          .catch(() => ''),
      ),
    );
    return texts.join('\n');
  }

  /** Waits until all of these stand on the page, as it refreshes itself or, with `reload`, as it is loaded anew. */
  async shows(wanted: readonly (string | RegExp)[], { reload = false } = {}): Promise<void> {
    let text = '';
    let loadedMs = Date.now();
    let patienceMs = RELOAD_MS;
    const missing = () =>
      wanted.filter((one) => (typeof one === 'string' ? !text.includes(one) : !one.test(text))).map(String);
    await until(
      'the page shows what it should',
      async () => {
        text = await this.text();
        if (missing().length === 0) return true;
        // A page that is loaded anew before it has shown anything never does.
        if (reload && Date.now() - loadedMs > patienceMs) {
          await this.page.reload({ waitUntil: 'load' });
          loadedMs = Date.now();
          patienceMs *= 2;
        }
        return false;
      },
      STEP_MS,
    ).catch((error: unknown) => {
      throw new Error(`The Temporal UI does not show ${missing().join(' nor ')}. It shows:\n${text}`, { cause: error });
    });
  }

  async #goTo(url: string): Promise<void> {
    await this.page.goto(url, { waitUntil: 'domcontentloaded' });
    await visible(this.page.getByRole('heading', { level: 1 })).waitFor();
    // What a version of the UI greets a newcomer with would lie over its buttons.
    const greeting = this.page.getByRole('dialog').filter({ visible: true });
    for (let left = await greeting.count(); left > 0; left--) await this.page.keyboard.press('Escape');
  }

  async #chooseAction(name: string): Promise<void> {
    await visible(this.page.getByRole('button', { name: 'More Actions' })).click();
    await visible(this.page.getByRole('menuitem', { name })).click();
  }

  #dialog(title: string): Locator {
    return visible(this.page.getByRole('dialog').filter({ hasText: title }));
  }

  /** The time is the browser's own, of the click as the page got it: the same clock, without the driver's way there. */
  async #confirm(title: string, button: string): Promise<number> {
    await this.page.evaluate(() => {
      addEventListener('click', () => (document.documentElement.dataset['clickedAt'] = String(Date.now())), true);
    });
    await this.#dialog(title).getByRole('button', { name: button, exact: true }).click();
    const clickedAt = await this.page.evaluate(() => document.documentElement.dataset['clickedAt']);
    return Number(clickedAt);
  }
}

/** The UI draws some things twice, for wide and for narrow windows: the one that can be seen. */
const visible = (locator: Locator): Locator => locator.filter({ visible: true }).first();
