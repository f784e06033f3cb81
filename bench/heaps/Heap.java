// SPDX-License-Identifier: BSD-3-Clause
// A JVM heap: records of the lines of text files and an index of their words.
// Grows to about the number of MiB given, says "ready", and lives until its
// input ends.

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

public class Heap {
  record Line(Path file, int number, String text, String[] words) { }

  static final Map<String, List<Line>> index = new HashMap<>();
  static final List<Line> lines = new ArrayList<>();

  static void add(Path file) throws IOException {
    int number = 0;
    String text = Files.readString(file, StandardCharsets.ISO_8859_1);
    for (String s : text.split("\n")) {
      number++;
      if (s.isBlank())
        continue;
      Line line = new Line(file, number, s, s.split("\\W+"));
      lines.add(line);
      for (String word : line.words())
        index.computeIfAbsent(word, k -> new ArrayList<>()).add(line);
    }
  }

  static TreeSet<Path> files(String folder) throws IOException {
    TreeSet<Path> found = new TreeSet<>();
    Files.walkFileTree(Path.of(folder), new SimpleFileVisitor<Path>() {
      @Override
      public FileVisitResult visitFile(Path p, BasicFileAttributes a) {
        if (a.isRegularFile() && Files.isReadable(p)
            && p.toString().matches(".*\\.(h|py|pm|txt|json)"))
          found.add(p);
        return FileVisitResult.CONTINUE;
      }

      // What is not there, or not for us, is left out.
      @Override
      public FileVisitResult visitFileFailed(Path p, IOException e) {
        return FileVisitResult.CONTINUE;
      }
    });
    return found;
  }

  public static void main(String[] args) throws IOException {
    long goal = Long.parseLong(args[0]) << 20;
    Runtime runtime = Runtime.getRuntime();
    grow:
    for (int i = 1; i < args.length; i++)
      for (Path file : files(args[i])) {
        add(file);
        if (runtime.totalMemory() - runtime.freeMemory() >= goal)
          break grow;
      }
    System.out.println("ready " + lines.size() + " " + index.size());
    System.in.read();
  }
}
