# spark-submit reads this file before it starts Java, where SPARK_CONF_DIR names this folder (one machine, as
# spark-defaults.conf). Spark's classes come ready from the archive that `make env` made: seconds less for every start.
# Java ignores an archive of another Java or of other jars, without a word, and starts as it would without one.

SPARK_LAUNCHER_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC ${SPARK_LAUNCHER_OPTS-}"

# Java refuses an archive behind a folder that holds files, and spark-submit puts this folder first on the class path.
# So the jars come first here, and somebody's own class path is left as it is, without the archive.
archive_options() {
  local archive=${DISCOVERY_CLASS_ARCHIVE-${BASH_SOURCE[0]%/*}/../.venv/spark-classes.jsa} jars=$SPARK_HOME/jars slf4j
  slf4j=("$jars"/slf4j-api-*.jar)
  if [[ $*${SPARK_SUBMIT_OPTS-} == *@(class-path|extraClassPath|properties-file|"-cp "|SharedArchiveFile)* ||
    -n ${HADOOP_CONF_DIR-}${YARN_CONF_DIR-}${SPARK_DIST_CLASSPATH-} ]] ||
    grep -qs '^ *spark.driver.extraClassPath' "$SPARK_CONF_DIR/spark-defaults.conf"; then
    return 0
  elif [[ -n ${DISCOVERY_NEW_CLASS_ARCHIVE-} ]]; then
    echo -n "-XX:ArchiveClassesAtExit=$DISCOVERY_NEW_CLASS_ARCHIVE"
  elif [[ -f $archive ]]; then
    echo -n "-XX:SharedArchiveFile=\"$archive\""
  else
    return 0
  fi
  echo " -Xlog:cds=off -Xlog:cds+dynamic=off -cp \"${slf4j[0]}:$jars/*:$SPARK_CONF_DIR/\" "
}
SPARK_SUBMIT_OPTS="$(archive_options "$@")${SPARK_SUBMIT_OPTS-}"
unset -f archive_options
