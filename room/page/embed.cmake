# Turns the page's files into one C++ source. Included by the build, it adds the rule; run as a script
# (cmake -DOUTPUT=... -DSOURCE=... -P embed.cmake) it is the rule.

if(CMAKE_SCRIPT_MODE_FILE)
  set(entries "")
  foreach(asset "/|index.html|html" "/app.js|app.js|javascript" "/style.css|style.css|css")
    string(REGEX MATCH "^([^|]*)[|]([^|]*)[|](.*)$" matched "${asset}")
    file(READ "${SOURCE}/${CMAKE_MATCH_2}" body)
    string(APPEND entries
      "    {\"${CMAKE_MATCH_1}\", \"text/${CMAKE_MATCH_3}; charset=utf-8\",\n     R\"pitbox(${body})pitbox\"},\n")
  endforeach()
  file(WRITE "${OUTPUT}" "#include \"room/page_assets.h\"\n\nnamespace pitbox {\nnamespace {\n\n"
    "constexpr PageAsset kAssets[] = {\n${entries}};\n\n}  // namespace\n\n"
    "std::span<const PageAsset> page_assets() {\n  return kAssets;\n}\n\n}  // namespace pitbox\n")
  return()
endif()

set(PITBOX_PAGE_SOURCE ${CMAKE_BINARY_DIR}/generated/room/page_assets.cpp)
file(GLOB PITBOX_PAGE_FILES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.html
  ${CMAKE_CURRENT_LIST_DIR}/*.js ${CMAKE_CURRENT_LIST_DIR}/*.css)
add_custom_command(OUTPUT ${PITBOX_PAGE_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DOUTPUT=${PITBOX_PAGE_SOURCE} -DSOURCE=${CMAKE_CURRENT_LIST_DIR}
    -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${PITBOX_PAGE_FILES} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  COMMENT "Embedding the room's page" VERBATIM)
add_library(pitbox_page STATIC ${PITBOX_PAGE_SOURCE})
target_link_libraries(pitbox_page PRIVATE pitbox_flags)
target_link_libraries(pitbox_room PRIVATE pitbox_page)
