// Files by path from a drop or a file input, folders included.

/** Must be called in the drop event itself: the list is empty afterwards. */
export async function droppedFiles({ items }: DataTransfer): Promise<Map<string, File>> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = new Map<string, File>();
  for (const entry of entries) await collect(entry, "", files);
  return files;
}

async function collect(entry: FileSystemEntry, folder: string, files: Map<string, File>): Promise<void> {
  const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    files.set(path, file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const more = () => new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
  // A reader hands out a hundred entries at a time.
  for (let found = await more(); found.length > 0; found = await more()) for (const child of found) await collect(child, path, files);
}

export function chosenFiles(input: HTMLInputElement): Map<string, File> {
  const files = new Map([...(input.files ?? [])].map((file) => [file.webkitRelativePath || file.name, file]));
  // The same choice again is a change again.
  input.value = "";
  return files;
}
