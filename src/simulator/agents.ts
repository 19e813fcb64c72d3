import { documentedError } from './errors.js';

/** Type of an application variable of an agent, as `GET agents/{agentRid}` gives it. */
export type ParameterType =
  { type: 'string'; defaultValue?: string | undefined } | { type: 'objectSet'; expectedObjectTypes: string[] };

/** An application variable of an agent. Only READ_WRITE ones are ever updated by an answer. */
export interface ParameterDefinition {
  parameterType: ParameterType;
  access: 'READ_ONLY' | 'READ_WRITE';
  description?: string | undefined;
}

/** One version of an agent. */
export interface AgentVersionDefinition {
  /** "major.minor" */
  version: string;
  isPublished: boolean;
  parameters: Record<string, ParameterDefinition>;
}

/** An agent that the simulator serves, its versions from the oldest to the newest. */
export interface AgentDefinition {
  agentRid: string;
  displayName: string;
  description?: string | undefined;
  versions: AgentVersionDefinition[];
}

const customerName: ParameterDefinition = {
  parameterType: { type: 'string' },
  access: 'READ_ONLY',
  description: 'Name of the customer who asks.',
};
const status: ParameterDefinition = {
  parameterType: { type: 'string', defaultValue: 'open' },
  access: 'READ_WRITE',
  description: 'Status of the case.',
};
const currentCustomerOrders: ParameterDefinition = {
  parameterType: { type: 'objectSet', expectedObjectTypes: ['customerOrder'] },
  access: 'READ_ONLY',
  description: 'Orders of the customer.',
};
const selectedOrders: ParameterDefinition = {
  parameterType: { type: 'objectSet', expectedObjectTypes: ['customerOrder'] },
  access: 'READ_WRITE',
  description: 'Orders which the conversation is about.',
};
const language: ParameterDefinition = {
  parameterType: { type: 'string', defaultValue: 'en' },
  access: 'READ_ONLY',
  description: 'Language of the answers.',
};

/** The agent that tests and demos talk to: every kind of parameter, and three versions, 2.0 the latest published. */
export const orderAgent: AgentDefinition = {
  agentRid: 'ri.aip-agents..agent.5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0001',
  displayName: 'Order desk',
  description: 'Answers questions about orders and shipments.',
  versions: [
    { version: '1.0', isPublished: true, parameters: { customerName, status, currentCustomerOrders } },
    { version: '1.1', isPublished: false, parameters: { customerName, status, currentCustomerOrders, selectedOrders } },
    {
      version: '2.0',
      isPublished: true,
      parameters: { customerName, status, currentCustomerOrders, selectedOrders, language },
    },
  ],
};

/** A second agent, without parameters. */
export const plainAgent: AgentDefinition = {
  agentRid: 'ri.aip-agents..agent.5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0002',
  displayName: 'General questions',
  versions: [{ version: '1.0', isPublished: true, parameters: {} }],
};

/** An agent that was saved but never published. */
export const unpublishedAgent: AgentDefinition = {
  agentRid: 'ri.aip-agents..agent.5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0003',
  displayName: 'Draft',
  versions: [{ version: '0.1', isPublished: false, parameters: {} }],
};

/** The agents every simulator serves, the default one first. */
export const builtInAgents: readonly AgentDefinition[] = [orderAgent, plainAgent, unpublishedAgent];

/** The agents of one simulator, looked up as the API does. */
export class AgentDirectory {
  readonly #agents: Map<string, AgentDefinition>;

  constructor(agents: readonly AgentDefinition[]) {
    this.#agents = new Map(agents.map((agent) => [agent.agentRid, agent]));
  }

  /** @throws ApiError AgentNotFound */
  agent(agentRid: string): AgentDefinition {
    const agent = this.#agents.get(agentRid);
    if (agent === undefined) throw documentedError('AgentNotFound', { agentRid });
    return agent;
  }

  /**
   * The version asked for, or the latest published one.
   *
   * @throws ApiError AgentNotFound, InvalidAgentVersion, AgentVersionNotFound, NoPublishedAgentVersion
   */
  version(agentRid: string, version: string | undefined): AgentVersionDefinition {
    const { versions } = this.agent(agentRid);
    if (version === undefined) {
      const latest = versions.findLast((candidate) => candidate.isPublished);
      if (latest === undefined) throw documentedError('NoPublishedAgentVersion', { agentRid });
      return latest;
    }
    if (!/^\d+\.\d+$/.test(version)) throw documentedError('InvalidAgentVersion', { agentRid, version });
    const found = versions.find((candidate) => candidate.version === version);
    if (found === undefined) {
      throw documentedError('AgentVersionNotFound', { agentRid, agentVersionString: version });
    }
    return found;
  }
}

/** An agent version on the wire. @see AIP Agents v2 (preview), Get Agent. */
export function agentToWire(agent: AgentDefinition, version: AgentVersionDefinition): unknown {
  return {
    rid: agent.agentRid,
    version: version.version,
    metadata: {
      displayName: agent.displayName,
      ...(agent.description === undefined ? {} : { description: agent.description }),
      inputPlaceholder: 'Ask a question',
      suggestedPrompts: ['What is the status of my order?'],
    },
    parameters: version.parameters,
  };
}

/** An entry of the list of versions on the wire. @see AIP Agents v2 (preview), List Agent Versions. */
export function agentVersionToWire(version: AgentVersionDefinition): unknown {
  const [major, minor] = version.version.split('.').map(Number);
  return { string: version.version, version: { major, minor } };
}
