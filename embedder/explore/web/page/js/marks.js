// What is marked: chips, each of one class. Like and unlike are what a search asks with, the others are a person's own.

export const ASKED = ["like", "unlike"];
export const MOST_CLASSES = 10; // like and unlike among them
export const LONGEST_NAME = 60;
const LEAST_CHIPS = 2; // of a class that can be learnt

/** Classes of chips; what changes them makes new ones. */
export class Marks {
  /** `classes` is a Map of names to lists of chips. */
  constructor(classes = new Map()) {
    this.classes = new Map([...ASKED.map((name) => [name, []]), ...classes]);
    this.classOfChip = new Map([...this.classes].flatMap(([name, chips]) => chips.map((chip) => [chip, name])));
  }

  get names() {
    return [...this.classes.keys()];
  }

  /** The classes that a person has named. */
  get named() {
    return this.names.filter((name) => !ASKED.includes(name));
  }

  get count() {
    return this.classOfChip.size;
  }

  /** What the page's style calls a class's colour. */
  colourOf(name) {
    return ASKED.includes(name) ? name : `class-${this.named.indexOf(name)}`;
  }

  of(name) {
    return this.classes.get(name) ?? [];
  }

  classOf(chip) {
    return this.classOfChip.get(chip);
  }

  /** With chips in a class, and in no other; the class is made where it is not there. */
  put(name, chips) {
    const added = new Set(chips);
    const others = (list) => list.filter((chip) => !added.has(chip));
    const own = this.of(name);
    const classes = [...this.classes].map(([each, list]) => [each, others(list)]);
    return new Marks(new Map([...classes, [name, [...own, ...[...added].filter((chip) => !own.includes(chip))]]]));
  }

  /** With a chip in no class. */
  remove(chip) {
    return new Marks(new Map([...this.classes].map(([name, list]) => [name, list.filter((each) => each !== chip)])));
  }

  /** Without one of a person's classes. */
  drop(name) {
    return new Marks(new Map([...this.classes].filter(([each]) => each !== name)));
  }

  /** With what was asked as likes and unlikes; a chip that a person's class has stays there. */
  asked({ like, unlike }) {
    const free = (list) => list.filter((chip) => !this.#isNamed(chip));
    return new Marks(new Map([...this.classes, ["like", free(like)], ["unlike", free(unlike)]]));
  }

  /** What a search with them asks for, beside a question whose likes may be of a person's class. */
  question({ like }) {
    return { like: [...like.filter((chip) => this.#isNamed(chip)), ...this.of("like")], unlike: this.of("unlike") };
  }

  /** What is learnt from, and saved: a person's own classes that have chips, or like and unlike where there are none. */
  get labels() {
    const named = this.named;
    return (named.length ? named : ASKED).map((name) => [name, this.of(name)]).filter(([, chips]) => chips.length);
  }

  /** Whether a map of classes can be made of them. */
  get canBeLearnt() {
    const { labels } = this;
    return labels.length > 1 && labels.every(([, chips]) => chips.length >= LEAST_CHIPS);
  }

  #isNamed(chip) {
    const name = this.classOf(chip);
    return name !== undefined && !ASKED.includes(name);
  }
}

/** How many chips are marked otherwise. */
export function differences(labels, others) {
  const classOf = (each) => new Map(each.flatMap(([name, chips]) => chips.map((chip) => [chip, name])));
  const [one, other] = [classOf(labels), classOf(others)];
  return [...new Set([...one.keys(), ...other.keys()])].filter((chip) => one.get(chip) !== other.get(chip)).length;
}
