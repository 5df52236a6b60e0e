// SPDX-License-Identifier: Apache-2.0
// What the server answers, for the type checker alone: no browser reads this file.

interface Knob {
  name: string; kind: "float" | "int" | "bool" | "choice" | "text"; default: number | boolean | string;
  help: string; low: number | null; high: number | null; choices: string[]; unit: string;
  stage: "view" | "step" | "finish"; label: string; title: string; flag: string;
}
interface Card {
  name: string; title: string; summary: string; needs: string[]; takes: string[]; knobs: Knob[];
  memory: { kind: string }; commercial: string; licence: string; limits: string; ready: boolean;
  coarse: boolean; subject: string;
}
interface Declarations { models: Card[]; knobs: Knob[]; problems: string[]; forms: Form[]; }
interface Form { name: string; label: string; help: string; }
interface Marks { subject?: [number, number][]; not?: [number, number][]; box?: [number, number, number, number]; }
interface Subject { name: string; colour: string; solo: boolean; mute: boolean; frames: Record<string, Marks>; }
interface Painted { sha: string; box: number[] | null; }
interface Session {
  plate: string; layer: string; colorspace: string; span: [number, number] | null; model: string;
  refine: string; refine_width: number; segmentation_model: string;
  knobs: Record<string, number | boolean | string>; device: string; ocio: string;
  hints: Record<string, string>; hint_keys: string; objects: Subject[];
  trimaps: Record<string, Painted>; keys: Record<string, Painted>; behind: string;
}
interface PlateFacts {
  name: string; frames: number[]; width: number; height: number; rate: number; pixelAspect: number;
  colorspace: string; taken: string; assumptions: string[]; view: string;
}
interface RunState {
  state: "idle" | "queued" | "running" | "done" | "error" | "cancelled"; done?: number; total?: number;
  frame?: number | null; message?: string; output?: string; path?: string; notes?: string[]; model?: string;
  key?: string; first?: number; last?: number;
}
interface TrainState {
  state: "idle" | "running" | "done" | "error" | "cancelled"; name?: string; step?: number; steps?: number;
  losses?: number[]; scores?: [number, number][]; heldout?: number | null; before?: number | null;
  after?: number | null; message?: string; seconds_left?: number;
}
interface ServerState {
  revision: number; session: Session; folder: string; roots: string[]; plate: PlateFacts; key: string;
  done: number[]; stale: number[]; models: string[]; undo: number; redo: number; run: RunState; train: TrainState;
}
interface Slot { key: string; label: string; }
interface Zoom { scale: number; x: number; y: number; fit: boolean; }
interface State {
  server: ServerState | null; declarations: Declarations | null; frame: number; view: string;
  exposure: number; gamma: number; colour: string; b: Slot | null; showB: boolean; wipe: number | null;
  tool: string; object: string; brush: { size: number; hardness: number; value: number };
  tab: string; live: boolean; overlay: boolean; playing: boolean; zoom: Zoom; message: { kind: string; text: string };
  busy: string; compare: Slot[]; mask: { key: string; frame: number; of: string } | null; pointer: { x: number; y: number } | null; loaded: number;
}
