import { render } from "preact";
import { openStudio } from "./state.ts";
import { App } from "./ui/app.tsx";

render(<App />, document.getElementById("studio")!);
openStudio();
