import type { Choices } from "../protocol.ts";
import { choices, quantize, ready } from "../state.ts";
import { methods, ranges } from "./methods.ts";

/** The button that starts a run stands elsewhere. */
export const recipeForm = "recipe";

const set = (change: Partial<Choices>) => (choices.value = { ...choices.value!, ...change });

export function Recipe() {
  const chosen = choices.value;
  const method = methods.find(({ name }) => name === chosen?.method) ?? methods[0]!;
  return (
    <form
      id={recipeForm}
      class="card recipe"
      aria-labelledby="recipe-title"
      onSubmit={(event) => {
        event.preventDefault();
        quantize();
      }}
    >
      <h2 id="recipe-title">Recipe</h2>
      <fieldset disabled={!ready.value}>
        <Segments
          legend="Weights"
          unit="bit"
          name="weights"
          values={[8, 6, 4, 3, 2]}
          value={chosen?.weights}
          onPick={(weights) => set({ weights })}
        />
        <Segments
          legend="Activations"
          unit="bit"
          name="activations"
          values={[8, 6, 4]}
          value={chosen?.activations}
          onPick={(activations) => set({ activations })}
        />
        <label class="field wide">
          <span>Method</span>
          <select value={method.name} onChange={(event) => set({ method: event.currentTarget.value })} aria-describedby="method-says">
            {methods.map(({ name, title }) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <p class="says" id="method-says">
          {method.says}
        </p>
        <div class="fields">
          <label class="field">
            <span>Ranges</span>
            <select value={chosen?.ranges} onChange={(event) => set({ ranges: event.currentTarget.value as Choices["ranges"] })}>
              {ranges.map(({ name, title }) => (
                <option key={name} value={name}>
                  {title}
                </option>
              ))}
            </select>
          </label>
          <Whole label="Samples" value={chosen?.samples} least={1} onChange={(samples) => set({ samples })} />
          <Whole
            label={method.effort === "minutes" ? "Minutes" : "Steps a part"}
            value={chosen?.[method.effort ?? "iterations"]}
            least={1}
            disabled={!method.effort}
            onChange={(value) => set({ [method.effort!]: value })}
          />
          <Whole label="Seed" value={chosen?.seed} least={0} onChange={(seed) => set({ seed })} />
        </div>
        <label class="tick">
          <input
            type="checkbox"
            checked={chosen?.firstLast === 8}
            onChange={(event) => set({ firstLast: event.currentTarget.checked ? 8 : 0 })}
          />
          <span>First and last layer stay at 8 bits</span>
        </label>
      </fieldset>
    </form>
  );
}

interface SegmentsProps {
  readonly legend: string;
  readonly unit: string;
  readonly name: string;
  readonly values: readonly number[];
  readonly value: number | undefined;
  readonly onPick: (value: number) => void;
}

function Segments({ legend, unit, name, values, value, onPick }: SegmentsProps) {
  return (
    <div class="segments" role="radiogroup" aria-label={`${legend}, ${unit}s`}>
      <span class="legend" aria-hidden="true">
        {legend}
      </span>
      <div class="track">
        {values.map((each) => (
          <label key={each}>
            <input class="unseen" type="radio" name={name} value={each} checked={each === value} onChange={() => onPick(each)} />
            <span>{each}</span>
          </label>
        ))}
      </div>
      <span class="unit" aria-hidden="true">
        {unit}
      </span>
    </div>
  );
}

interface WholeProps {
  readonly label: string;
  readonly value: number | undefined;
  readonly least: number;
  readonly disabled?: boolean;
  readonly onChange: (value: number) => void;
}

function Whole({ label, value, least, disabled = false, onChange }: WholeProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        type="number"
        min={least}
        step={1}
        required
        value={value}
        disabled={disabled}
        onChange={(event) => event.currentTarget.validity.valid && onChange(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}
