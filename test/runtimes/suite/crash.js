setTimeout(() => {
  throw new Error("out of the blue");
});
